import { useEffect, useRef } from 'react';
import { Button } from 'react-aria-components';

import { useWords } from '../i18n/format';
import { listenToHands } from '../viewport/gestures';
import type { ImageView, Tool, ViewState } from '../viewport/imageView';
import type { ImageFacts } from '../viewport/orientation';
import { previewUrl, type Frame } from '../viewport/stack';
import type { Fallback } from '../viewport/useImageView';
import { HeatmapLayer, type Heat } from './HeatmapLayer';
import { Overlays } from './Overlays';

interface Props {
  onElement: (element: HTMLDivElement | null) => void;
  view: ImageView | null;
  state: ViewState;
  fallback: Fallback | null;
  frame: Frame | undefined;
  onRetry: () => void;
  tool: Tool;
  scrollBy: (step: number) => void;
  count: number;
  facts: ImageFacts;
  title: string;
  hasOverlays: boolean;
  heat: Heat | null;
  isHeatmap: boolean;
}

/** The image, and on it only what was asked for. */
export function Viewport(props: Props) {
  const { onElement, view, state, fallback, frame, onRetry, tool, scrollBy, count, heat, isHeatmap } = props;
  const { t } = useWords();
  const box = useRef<HTMLDivElement>(null);
  const hand = useRef({ view, tool, scrollBy, count });
  useEffect(() => {
    hand.current = { view, tool, scrollBy, count };
  });
  useEffect(() => {
    if (box.current === null) return undefined;
    return listenToHands(box.current, {
      view: () => hand.current.view,
      tool: () => hand.current.tool,
      scrollBy: (step) => hand.current.scrollBy(step),
      isStack: () => hand.current.count > 1,
    });
  }, []);
  return (
    <div
      ref={box}
      className="viewport"
      data-testid="study-viewport"
      data-rendered={state.status === 'shown'}
      data-path={fallback === null ? 'pixels' : 'jpeg'}
      data-tool={tool}
    >
      <div ref={onElement} className="viewport-image" />
      {fallback === null && frame !== undefined && state.status !== 'shown' && (
        <img className="preview" src={previewUrl(frame)} alt="" draggable={false} />
      )}
      {heat !== null && state.placement !== null && <HeatmapLayer heat={heat} placement={state.placement} />}
      <Overlays {...props} />
      {(heat !== null || isHeatmap) && <p className="ai-label">{t('ai.heatmapLabel')}</p>}
      {state.status === 'loading' && <Loading progress={state.progress} />}
      {state.status === 'failed' && fallback !== null && (
        <div className="viewport-note" role="alert">
          <p>{t('image.failed')}</p>
          <Button className="button" onPress={onRetry}>
            {t('app.retry')}
          </Button>
        </div>
      )}
      {fallback !== null && state.status !== 'failed' && (
        <p className="viewport-fallback" role="status">
          {t(`image.fallback.${fallback}`)}
        </p>
      )}
    </div>
  );
}

/** Appears by its style sheet only after 300 ms. */
function Loading({ progress }: { progress: number | null }) {
  const { t } = useWords();
  return (
    <p className="viewport-progress viewport-loading" role="status">
      {progress === null ? t('image.loading') : t('image.loadingPercent', { percent: progress })}
    </p>
  );
}
