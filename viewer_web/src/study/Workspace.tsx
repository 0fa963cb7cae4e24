import { useQuery } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';
import { useMemo, useState } from 'react';

import { useSession } from '../app/SignedIn';
import { KeysHelp } from '../app/KeysHelp';
import { useKeys } from '../app/useKeys';
import { ohifUrl } from '../api/dicomweb';
import type { StudyDetail } from '../api/types';
import { useWords } from '../i18n/format';
import { metadataQuery, SOP_INSTANCE_UID, textOf } from '../viewport/metadata';
import type { Tool } from '../viewport/imageView';
import { factsOf } from '../viewport/orientation';
import { useImageView } from '../viewport/useImageView';
import { assessmentFor, firstPicture, picturesOf } from './layout';
import { SeriesStrip } from './SeriesStrip';
import { SidePanel } from './SidePanel';
import { Toolbar } from './Toolbar';
import { useNeighbours } from './useNeighbours';
import { Viewport } from './Viewport';

interface Props {
  detail: StudyDetail;
  isLight: boolean;
  onBack: () => void;
  onLight: (on: boolean) => void;
}

/** Pictures, tools and what is known about them. */
export function Workspace({ detail, isLight, onBack, onLight }: Props) {
  const { t } = useWords();
  const { user, server } = useSession();
  const navigate = useNavigate();
  const uid = detail.study.studyInstanceUID;
  const neighbours = useNeighbours(uid);

  const pictures = useMemo(() => picturesOf(detail), [detail]);
  const [chosen, setChosen] = useState<string | null>(null);
  const picture =
    pictures.find(({ stack }) => stack.seriesUID === chosen) ?? firstPicture(detail, pictures) ?? null;
  const stackKey = picture === null ? '' : `${picture.stack.seriesUID}:${picture.stack.frames.length}`;
  // The same series read anew is the same stack: what the reader has set must not be lost.
  // eslint-disable-next-line react-hooks/exhaustive-deps
  const stack = useMemo(() => picture?.stack ?? null, [stackKey]);

  const [element, setElement] = useState<HTMLDivElement | null>(null);
  const { view, state, fallback, retry } = useImageView(element, stack, isLight);
  const [tool, setTool] = useState<Tool>('window');
  const [hasHeat, setHasHeat] = useState(false);
  const [opacity, setOpacity] = useState(0.8);
  const [hasOverlays, setHasOverlays] = useState(true);
  const [help, setHelp] = useState(false);

  const frame = stack?.frames[state.index];
  const metadata = useQuery({
    ...metadataQuery(uid, stack?.seriesUID ?? ''),
    enabled: stack !== null,
  }).data?.find((one) => textOf(one, SOP_INSTANCE_UID) === frame?.sopUID);
  const assessment = assessmentFor(detail, frame?.sopUID);
  const heatmap =
    assessment?.sopInstanceUID === frame?.sopUID && assessment?.heatmapInstanceUID != null ? assessment : null;

  const count = stack?.frames.length ?? 0;
  const scrollBy = (step: number) => {
    const next = Math.max(0, Math.min(count - 1, state.index + step));
    if (next !== state.index) view?.goTo(next);
  };
  const seriesBy = (step: number) => {
    const at = pictures.findIndex((one) => one === picture) + step;
    const next = pictures[at];
    if (next !== undefined) setChosen(next.stack.seriesUID);
  };
  useKeys({
    h: () => setHasHeat((on) => heatmap !== null && !on),
    i: () => view?.toggleInvert(),
    r: () => view?.reset(),
    o: () => setHasOverlays((on) => !on),
    w: () => setTool('window'),
    z: () => setTool('zoom'),
    m: () => setTool('pan'),
    s: () => setTool('scroll'),
    '+': () => view?.zoomBy(1.25),
    '=': () => view?.zoomBy(1.25),
    '-': () => view?.zoomBy(0.8),
    ArrowUp: () => scrollBy(-1),
    ArrowDown: () => scrollBy(1),
    '[': () => seriesBy(-1),
    ']': () => seriesBy(1),
    p: () => {
      const prior = detail.priors[0];
      if (prior !== undefined && user !== null) {
        void navigate({ to: '/study/$uid', params: { uid: prior.studyInstanceUID }, search: { from: uid } });
      }
    },
    v: () => {
      if (server.ohif) window.location.assign(ohifUrl(uid));
    },
    n: () => neighbours.next?.(),
    b: () => neighbours.previous?.(),
    '?': () => setHelp(true),
    Escape: onBack,
  });

  return (
    <main className="workspace">
      <SeriesStrip pictures={pictures} current={stack?.seriesUID ?? null} onChoose={setChosen} />
      <section className="reading" aria-label={t('image.label')}>
        <Toolbar
          view={view}
          isStack={count > 1}
          isInverted={state.isInverted}
          tool={tool}
          onTool={setTool}
          hasOverlays={hasOverlays}
          onOverlays={setHasOverlays}
          heat={{ isThere: heatmap !== null, isOn: hasHeat && heatmap !== null, onChange: setHasHeat, opacity, onOpacity: setOpacity }}
          isLight={isLight}
          onLight={onLight}
        />
        {stack === null ? (
          <p className="state">{t('study.empty')}</p>
        ) : (
          <Viewport
            onElement={setElement}
            view={view}
            state={state}
            fallback={fallback}
            frame={frame}
            onRetry={retry}
            tool={tool}
            scrollBy={scrollBy}
            count={count}
            facts={factsOf(metadata)}
            title={picture?.series.description ?? ''}
            hasOverlays={hasOverlays}
            heat={hasHeat && heatmap !== null ? { studyUID: uid, assessment: heatmap, opacity } : null}
            isHeatmap={picture?.isHeatmap ?? false}
          />
        )}
      </section>
      <SidePanel detail={detail} assessment={assessment} />
      <KeysHelp isOpen={help} onOpenChange={setHelp} />
    </main>
  );
}
