import { Check, Copy } from 'lucide-react';
import { useRef, useState } from 'react';
import { Button, Input, Label, TextField } from 'react-aria-components';

import { useWords } from '../i18n/format';

/** The new link, to be copied. Without the clipboard (plain HTTP) it is selected for Ctrl+C. */
export function CopyLink({ url }: { url: string }) {
  const { t } = useWords();
  const input = useRef<HTMLInputElement>(null);
  const [outcome, setOutcome] = useState<'copied' | 'copyFailed' | null>(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(url);
      setOutcome('copied');
    } catch {
      // No permission, or not a secure page: the words say how to do it by hand.
      input.current?.select();
      setOutcome('copyFailed');
    }
  };
  return (
    <div className="share-wide share-link">
      <TextField className="field" value={url} isReadOnly>
        <Label>{t('share.url')}</Label>
        <Input ref={input} data-testid="share-url" />
      </TextField>
      <Button className="button" onPress={() => void copy()}>
        {outcome === 'copied' ? <Check aria-hidden="true" /> : <Copy aria-hidden="true" />}
        {t(outcome === 'copied' ? 'share.copied' : 'share.copy')}
      </Button>
      <small role="status">{t(outcome === 'copyFailed' ? 'share.copyFailed' : 'share.once')}</small>
    </div>
  );
}
