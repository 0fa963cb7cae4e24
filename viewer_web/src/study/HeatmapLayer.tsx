import { useState } from 'react';

import { renderedUrl } from '../api/dicomweb';
import type { Assessment } from '../api/types';
import { useWords } from '../i18n/format';
import type { Placement } from '../viewport/imageView';

export interface Heat {
  studyUID: string;
  assessment: Assessment;
  opacity: number;
}

/**
 * The AI's secondary capture laid on the image that it was made from. Both show the same field,
 * so the layer takes the image's box and follows it through zoom and pan.
 */
export function HeatmapLayer({ heat, placement }: { heat: Heat; placement: Placement }) {
  const { t } = useWords();
  const { studyUID, assessment, opacity } = heat;
  const url = renderedUrl(studyUID, assessment.heatmapSeriesUID ?? '', assessment.heatmapInstanceUID ?? '');
  const [outcome, setOutcome] = useState<{ url: string; isThere: boolean } | null>(null);
  const isKnown = outcome?.url === url;
  if (isKnown && !outcome.isThere) {
    return (
      <p className="viewport-note" role="alert">
        {t('ai.heatmapFailed')}
      </p>
    );
  }
  return (
    <>
      <img
        className="heatmap"
        data-testid="heatmap-layer"
        data-loaded={isKnown}
        src={url}
        alt={t('ai.heatmapLabel')}
        draggable={false}
        onLoad={() => setOutcome({ url, isThere: true })}
        onError={() => setOutcome({ url, isThere: false })}
        style={{
          width: placement.columns,
          height: placement.rows,
          transform: `matrix(${placement.matrix.join(',')})`,
          opacity,
        }}
      />
      {!isKnown && (
        <p className="viewport-note viewport-loading" role="status">
          {t('ai.heatmapLoading')}
        </p>
      )}
    </>
  );
}
