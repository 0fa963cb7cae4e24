import { useEffect, useState } from 'react';
import { Button } from 'react-aria-components';

import { useWords } from '../i18n/format';

const QUIET_MS = 300;
const LONG_MS = 5_000;

/** Nothing for 300 ms, then what is happening, then that it takes long. */
export function Waiting({ text }: { text?: string }) {
  const { t } = useWords();
  const [stage, setStage] = useState<'quiet' | 'said' | 'long'>('quiet');
  useEffect(() => {
    const said = setTimeout(() => setStage('said'), QUIET_MS);
    const long = setTimeout(() => setStage('long'), LONG_MS);
    return () => {
      clearTimeout(said);
      clearTimeout(long);
    };
  }, []);
  if (stage === 'quiet') return null;
  return (
    <p className="state" role="status">
      {stage === 'long' ? t('app.loadingLong') : (text ?? t('app.loading'))}
    </p>
  );
}

export function Failed({ error, onRetry }: { error: unknown; onRetry: () => void }) {
  const { t, problem } = useWords();
  return (
    <div className="state" role="alert">
      <p>{problem(error)}</p>
      <Button className="button" onPress={onRetry}>
        {t('app.retry')}
      </Button>
    </div>
  );
}
