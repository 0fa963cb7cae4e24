import { useInfiniteQuery } from '@tanstack/react-query';
import { useNavigate, useSearch } from '@tanstack/react-router';
import { useEffect, useRef, useState } from 'react';

import { KeysHelp } from '../app/KeysHelp';
import { useSession } from '../app/SignedIn';
import { useKeys } from '../app/useKeys';
import { worklistQuery, type WorklistFilter } from '../api/queries';
import { useWords } from '../i18n/format';
import { LineBanner } from '../ui/LineBanner';
import { ResearchBanner } from '../ui/ResearchBanner';
import { Failed, Waiting } from '../ui/States';
import { hasWebGL } from '../viewport/webgl';
import { EmptyList } from './EmptyList';
import { Filters } from './Filters';
import { List } from './List';
import { TopBar } from './TopBar';
import './worklist.css';

/** The next click opens a study: by then its code is here, and ready to draw. Not on phones, which come for the list. */
function fetchViewerWhenIdle() {
  if (matchMedia('(max-width: 760px)').matches) return undefined;
  const timer = setTimeout(() => {
    void import('../study/StudyPage');
    if (hasWebGL()) void import('../viewport/cornerstoneView').then(({ start }) => start());
  }, 1_500);
  return () => clearTimeout(timer);
}

export function WorklistPage() {
  const { t } = useWords();
  const { server } = useSession();
  const filter = useSearch({ from: '/signed-in/' });
  const navigate = useNavigate();
  const search = useRef<HTMLInputElement>(null);
  const [help, setHelp] = useState(false);
  const list = useInfiniteQuery(worklistQuery(filter));
  const items = list.data?.pages.flatMap((page) => page.items) ?? [];
  const total = list.data?.pages.at(-1)?.total;

  useEffect(() => {
    document.title = t('title.worklist');
  }, [t]);
  useEffect(fetchViewerWhenIdle, []);
  useKeys({
    '/': () => search.current?.select(),
    '?': () => setHelp(true),
  });
  const setFilter = (next: WorklistFilter) => void navigate({ to: '/', search: next, replace: true });

  return (
    <div className="page worklist-page">
      <TopBar onHelp={() => setHelp(true)} />
      <LineBanner />
      {server.researchModels && <ResearchBanner />}
      <Filters filter={filter} onChange={setFilter} total={total} searchRef={search} />
      <main className="worklist-main">
        {list.isPending && <Waiting />}
        {list.isError && items.length === 0 && <Failed error={list.error} onRetry={() => void list.refetch()} />}
        {list.isSuccess && items.length === 0 && (
          <EmptyList isFiltered={Object.values(filter).some(Boolean)} onReset={() => setFilter({})} />
        )}
        {items.length > 0 && (
          <List
            items={items}
            total={total ?? items.length}
            onEnd={() => {
              if (list.hasNextPage && !list.isFetchingNextPage) void list.fetchNextPage();
            }}
          />
        )}
      </main>
      <KeysHelp isOpen={help} onOpenChange={setHelp} />
    </div>
  );
}
