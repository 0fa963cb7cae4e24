import { useWords } from '../i18n/format';
import type { ViewState } from '../viewport/imageView';
import type { ImageFacts } from '../viewport/orientation';

interface Props {
  state: ViewState;
  facts: ImageFacts;
  title: string;
  count: number;
  hasOverlays: boolean;
}

/** Text in the corners. The side letters stay when the rest is off: a side is never in doubt. */
export function Overlays({ state, facts, title, count, hasOverlays }: Props) {
  const { t } = useWords();
  if (state.status === 'empty') return null;
  const { window, zoom, index, isInverted } = state;
  const side = facts.laterality === 'L' || facts.laterality === 'R' ? t(`image.side.${facts.laterality}`) : '';
  return (
    <div className="overlays">
      {facts.edges !== null && (
        <>
          <span className="edge edge-left">{facts.edges.left}</span>
          <span className="edge edge-right">{facts.edges.right}</span>
        </>
      )}
      {side !== '' && <span className="corner corner-side">{side}</span>}
      {hasOverlays ? (
        <>
          <span className="corner corner-top-left">{[title, facts.viewPosition].filter(Boolean).join(' · ')}</span>
          <span className="corner corner-bottom-left">
            {window !== null && (
              <span>{t(window.isPercent ? 'image.brightness' : 'image.window', window)}</span>
            )}
            {isInverted && <b>{t('image.inverted')}</b>}
          </span>
          <span className="corner corner-bottom-right">
            {count > 1 && <span>{t('image.position', { index: index + 1, count })}</span>}
            <span>{t('image.zoom', { percent: Math.round(zoom * 100) })}</span>
          </span>
        </>
      ) : (
        <span className="corner corner-bottom-left">{t('image.overlaysOff')}</span>
      )}
    </div>
  );
}
