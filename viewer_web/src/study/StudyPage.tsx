import { useQuery } from '@tanstack/react-query';
import { useNavigate, useParams, useSearch } from '@tanstack/react-router';
import { useEffect } from 'react';

import { useSession } from '../app/SignedIn';
import { studyQuery } from '../api/queries';
import { useWords } from '../i18n/format';
import { LineBanner } from '../ui/LineBanner';
import { ResearchBanner } from '../ui/ResearchBanner';
import { Failed, Waiting } from '../ui/States';
import { forgetStudy } from '../viewport/useImageView';
import { StudyNotices } from './StudyNotices';
import { StudyHeader } from './StudyHeader';
import { Workspace } from './Workspace';
import './study.css';

/** One study. Another study is another page, whole: nothing of the last patient stays. */
export function StudyPage() {
  const { uid } = useParams({ from: '/signed-in/study/$uid' });
  return <OneStudy key={uid} uid={uid} />;
}

function OneStudy({ uid }: { uid: string }) {
  const { t, name } = useWords();
  const { user, server } = useSession();
  const { from, light = false } = useSearch({ from: '/signed-in/study/$uid' });
  const navigate = useNavigate();
  const { data, error, isPending, refetch } = useQuery(studyQuery(uid));
  const patient = data?.study.patient;

  useEffect(() => {
    if (patient !== undefined) document.title = t('title.study', { name: name(patient) });
  }, [t, name, patient]);
  useEffect(() => forgetStudy, []);

  const goBack = () => {
    if (user === null) return;
    if (from !== undefined) void navigate({ to: '/study/$uid', params: { uid: from } });
    else void navigate({ to: '/' });
  };

  return (
    <div className="page study-page" data-study-uid={uid}>
      <StudyHeader study={data?.study} onBack={user === null ? null : goBack} />
      <LineBanner />
      {server.researchModels && user === null && <ResearchBanner />}
      <StudyNotices study={data?.study} from={from} />
      {isPending && <Waiting />}
      {data === undefined && error !== null && <Failed error={error} onRetry={() => void refetch()} />}
      {data !== undefined && (
        <Workspace
          detail={data}
          isLight={light}
          onBack={goBack}
          onLight={(on) =>
            void navigate({
              to: '/study/$uid',
              params: { uid },
              search: { ...(from === undefined ? {} : { from }), ...(on ? { light: true } : {}) },
              replace: true,
            })
          }
        />
      )}
    </div>
  );
}
