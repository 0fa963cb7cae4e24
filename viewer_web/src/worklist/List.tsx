import { useNavigate, useSearch } from '@tanstack/react-router';
import { useVirtualizer } from '@tanstack/react-virtual';
import { useEffect, useRef, useState } from 'react';

import { useKeys } from '../app/useKeys';
import { useNow } from '../app/useNow';
import { useSession } from '../app/SignedIn';
import type { WorklistItem } from '../api/types';
import { useWords } from '../i18n/format';
import { useNarrow } from '../ui/useNarrow';
import { ColumnHeads } from './ColumnHeads';
import { keepPlace, placeInList } from './place';
import { Row } from './Row';

const ROW_PX = 56;
const CARD_PX = 148;
/** The column heads, which stay on top; cards have none. */
const HEAD_PX = 30;
/** A warning beside the name may need a line of its own. */
const WARNING_PX = 22;
/** How many rows before the end the next ones are asked for. */
const AHEAD = 20;
const rowId = (uid: string) => `row-${uid}`;

interface Props {
  items: WorklistItem[];
  total: number;
  onEnd: () => void;
}

/** The studies, only those in sight drawn; the pointer stays on its study when the order changes. */
export function List({ items, total, onEnd }: Props) {
  const { t } = useWords();
  const { server } = useSession();
  const filter = useSearch({ from: '/signed-in/' });
  const navigate = useNavigate();
  const narrow = useNarrow();
  const now = useNow();
  const scroller = useRef<HTMLDivElement>(null);
  const [cursor, setCursor] = useState(() => placeInList().uid);
  const at = items.findIndex((item) => item.studyInstanceUID === cursor);

  const head = narrow ? 0 : HEAD_PX;
  const rows = useVirtualizer({
    count: items.length,
    getScrollElement: () => scroller.current,
    estimateSize: (index) => {
      if (!narrow) return ROW_PX;
      return CARD_PX + (items[index]?.patient.identityConflict === true ? WARNING_PX : 0);
    },
    getItemKey: (index) => items[index]?.studyInstanceUID ?? index,
    overscan: 6,
    scrollMargin: head,
    scrollPaddingStart: head,
  });
  const drawn = rows.getVirtualItems();
  const last = drawn.at(-1)?.index ?? 0;

  useEffect(() => rows.measure(), [narrow, rows]);
  useEffect(() => {
    if (last >= items.length - AHEAD && items.length < total) onEnd();
  }, [last, items.length, total, onEnd]);
  useEffect(() => {
    keepPlace({ filter, uid: cursor });
  }, [filter, cursor]);
  useEffect(() => {
    // Back from a study: its row is in sight again. Later moves scroll by themselves.
    if (at > 0) rows.scrollToIndex(at, { align: 'center' });
    // eslint-disable-next-line react-hooks/exhaustive-deps
  }, []);

  const moveTo = (index: number) => {
    const next = Math.max(0, Math.min(items.length - 1, index));
    setCursor(items[next]?.studyInstanceUID ?? null);
    rows.scrollToIndex(next, { align: 'auto' });
  };
  const open = (uid: string) => {
    keepPlace({ filter, uid });
    void navigate({ to: '/study/$uid', params: { uid } });
  };
  const page = Math.max(1, Math.floor((scroller.current?.clientHeight ?? ROW_PX) / ROW_PX) - 2);
  useKeys({
    j: () => moveTo(at + 1),
    ArrowDown: () => moveTo(at + 1),
    k: () => moveTo(at < 0 ? 0 : at - 1),
    ArrowUp: () => moveTo(at < 0 ? 0 : at - 1),
    PageDown: () => moveTo(at + page),
    PageUp: () => moveTo(at - page),
    Home: () => moveTo(0),
    End: () => moveTo(items.length - 1),
    Enter: () => {
      const uid = items[at]?.studyInstanceUID;
      if (uid !== undefined) open(uid);
    },
  });

  return (
    <div
      ref={scroller}
      className="list"
      role="grid"
      tabIndex={0}
      aria-label={t('worklist.readAll')}
      aria-rowcount={total}
      aria-activedescendant={at < 0 ? undefined : rowId(items[at]?.studyInstanceUID ?? '')}
    >
      <ColumnHeads research={server.researchModels} />
      <div className="list-body" role="presentation" style={{ height: rows.getTotalSize() }}>
        {drawn.map((row) => {
          const item = items[row.index];
          if (item === undefined) return null;
          return (
            <Row
              key={row.key}
              id={rowId(item.studyInstanceUID)}
              index={row.index}
              top={row.start - head}
              height={row.size}
              item={item}
              now={now}
              isCursor={row.index === at}
              hasOhif={server.ohif}
              onOpen={open}
            />
          );
        })}
      </div>
    </div>
  );
}
