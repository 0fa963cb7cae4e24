import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Button, Input, Label, TextField } from 'react-aria-components';

import { createLink, linksQuery } from '../api/queries';
import { useWords } from '../i18n/format';
import { Choice } from '../ui/Choice';
import { Modal } from '../ui/Modal';
import { CopyLink } from './CopyLink';
import { LinkList } from './LinkList';

const HOURS = [1, 8, 24, 72, 168] as const;
const BASES = ['treatment', 'consultation', 'transfer', 'patient', 'other'] as const;
type Basis = (typeof BASES)[number];

interface Props {
  uid: string;
  isOpen: boolean;
  onOpenChange: (open: boolean) => void;
}

export function ShareDialog({ uid, isOpen, onOpenChange }: Props) {
  const { t } = useWords();
  return (
    <Modal title={t('share.heading')} isOpen={isOpen} onOpenChange={onOpenChange}>
      <p className="quiet">{t('share.explain')}</p>
      <NewLink uid={uid} />
      <LinkList uid={uid} />
    </Modal>
  );
}

function NewLink({ uid }: { uid: string }) {
  const { t, problem } = useWords();
  const client = useQueryClient();
  const [hours, setHours] = useState('24');
  const [basis, setBasis] = useState<Basis>('treatment');
  const [otherBasis, setOtherBasis] = useState('');
  const creating = useMutation({
    mutationFn: (wish: { expiresInHours: number; basis: string }) => createLink(uid, wish),
    onSuccess: () => client.invalidateQueries({ queryKey: linksQuery(uid).queryKey }),
  });
  const said = basis === 'other' ? otherBasis.trim() : t(`share.basisOption.${basis}`);
  const spell = (count: number) =>
    count < 72 ? t('share.hoursOption', { count }) : t('share.daysOption', { count: count / 24 });
  return (
    <form
      className="share-form"
      onSubmit={(event) => {
        event.preventDefault();
        creating.mutate({ expiresInHours: Number(hours), basis: said });
      }}
    >
      <Choice
        label={t('share.basis')}
        value={basis}
        options={BASES.map((id) => ({ id, label: t(`share.basisOption.${id}`) }))}
        onChange={(id) => setBasis(BASES.find((one) => one === id) ?? 'other')}
      />
      <Choice
        label={t('share.hours')}
        value={hours}
        options={HOURS.map((count) => ({ id: String(count), label: spell(count) }))}
        onChange={setHours}
      />
      {basis === 'other' && (
        <TextField className="field share-wide" value={otherBasis} onChange={setOtherBasis} isRequired maxLength={200} autoFocus>
          <Label>{t('share.basisOther')}</Label>
          <Input />
        </TextField>
      )}
      <Button
        className="button button-primary share-wide"
        type="submit"
        data-testid="share-create"
        isPending={creating.isPending}
        isDisabled={said === ''}
      >
        {creating.isPending ? t('share.creating') : t('share.create')}
      </Button>
      {creating.isError && (
        <p className="share-wide error" role="alert">
          {problem(creating.error)}
        </p>
      )}
      {creating.data !== undefined && <CopyLink url={creating.data.url} />}
    </form>
  );
}
