import { Button } from 'react-aria-components';

import { thumbnailUrl } from '../api/dicomweb';
import { useWords } from '../i18n/format';
import type { Picture } from './layout';

interface Props {
  pictures: Picture[];
  current: string | null;
  onChoose: (seriesUID: string) => void;
}

export function SeriesStrip({ pictures, current, onChoose }: Props) {
  const { t } = useWords();
  return (
    <nav className="strip" aria-label={t('study.series')}>
      {pictures.map(({ series, stack, isHeatmap }) => {
        const middle = stack.frames[Math.floor(stack.frames.length / 2)];
        const label = series.description || t('study.seriesOf', { number: series.number ?? '' });
        return (
          <Button
            key={stack.seriesUID}
            className="strip-item"
            data-testid="series-item"
            aria-current={stack.seriesUID === current}
            onPress={() => onChoose(stack.seriesUID)}
          >
            {middle !== undefined && (
              <img
                src={thumbnailUrl(stack.studyUID, stack.seriesUID, middle.sopUID)}
                alt=""
                loading="lazy"
                decoding="async"
              />
            )}
            <span className="strip-words">
              <b>{series.modality}</b>
              {isHeatmap && <em>{t('ai.heading')}</em>}
              <span>{stack.frames.length}</span>
            </span>
            <span className="strip-label">{isHeatmap ? t('image.tool.heatmap') : label}</span>
          </Button>
        );
      })}
    </nav>
  );
}
