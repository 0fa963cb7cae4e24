import { useWords } from '../i18n/format';
import { Modal } from '../ui/Modal';

const GROUPS = [
  {
    title: 'worklist',
    keys: [
      ['j ↓', 'down'],
      ['k ↑', 'up'],
      ['Enter', 'open'],
      ['/', 'search'],
    ],
  },
  {
    title: 'study',
    keys: [
      ['h', 'heatmap'],
      ['i', 'invert'],
      ['r', 'reset'],
      ['o', 'overlays'],
      ['w', 'window'],
      ['z', 'zoomTool'],
      ['m', 'panTool'],
      ['s', 'scrollTool'],
      ['+ −', 'zoomIn'],
      ['↑ ↓', 'images'],
      ['[ ]', 'seriesKeys'],
      ['p', 'prior'],
      ['v', 'ohif'],
      ['n', 'next'],
      ['b', 'previous'],
      ['Esc', 'back'],
    ],
  },
  { title: 'everywhere', keys: [['?', 'help']] },
] as const;

export function KeysHelp({ isOpen, onOpenChange }: { isOpen: boolean; onOpenChange: (open: boolean) => void }) {
  const { t } = useWords();
  return (
    <Modal title={t('keys.heading')} isOpen={isOpen} onOpenChange={onOpenChange}>
      <div className="keys">
        {GROUPS.map((group) => (
          <section key={group.title}>
            <h3>{t(`keys.${group.title}`)}</h3>
            <dl>
              {group.keys.map(([keys, action]) => (
                <div key={action}>
                  <dt>
                    {keys.split(' ').map((key) => (
                      <kbd key={key}>{key}</kbd>
                    ))}
                  </dt>
                  <dd>{t(`keys.${action}`)}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
    </Modal>
  );
}
