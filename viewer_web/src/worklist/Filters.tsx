import { Search, X } from 'lucide-react';
import { useEffect, useState, type RefObject } from 'react';
import { Button, Input, SearchField } from 'react-aria-components';

import type { WorklistFilter } from '../api/queries';
import type { StudyState, TriageClass } from '../api/types';
import { useWords } from '../i18n/format';
import { Choice } from '../ui/Choice';

const STATES: readonly StudyState[] = ['arriving', 'complete', 'triaged', 'read', 'reported', 'delivered'];
const TRIAGE: readonly TriageClass[] = ['critical', 'urgent', 'routine'];
const MODALITIES = ['CR', 'DX', 'CT', 'MR', 'US', 'MG', 'XA', 'NM', 'OT'] as const;
const TYPING_MS = 250;

interface Props {
  filter: WorklistFilter;
  onChange: (filter: WorklistFilter) => void;
  total: number | undefined;
  searchRef: RefObject<HTMLInputElement | null>;
}

export function Filters({ filter, onChange, total, searchRef }: Props) {
  const { t } = useWords();
  const any = { id: '', label: t('worklist.all') };
  return (
    <div className="filters" role="search" aria-label={t('worklist.filters')}>
      <SearchBox
        value={filter.search ?? ''}
        onChange={(search) => onChange({ ...filter, search })}
        inputRef={searchRef}
      />
      <Choice
        inline
        label={t('worklist.filterTriage')}
        value={filter.triage ?? ''}
        options={[any, ...TRIAGE.map((id) => ({ id, label: t(`triage.${id}`) }))]}
        onChange={(triage) => onChange({ ...filter, triage })}
      />
      <Choice
        inline
        label={t('worklist.filterState')}
        value={filter.state ?? ''}
        options={[any, ...STATES.map((id) => ({ id, label: t(`state.${id}`) }))]}
        onChange={(state) => onChange({ ...filter, state })}
      />
      <Choice
        inline
        label={t('worklist.filterModality')}
        value={filter.modality ?? ''}
        options={[any, ...MODALITIES.map((id) => ({ id, label: id }))]}
        onChange={(modality) => onChange({ ...filter, modality })}
      />
      {Object.values(filter).some(Boolean) && (
        <Button className="button button-quiet" onPress={() => onChange({})}>
          <X aria-hidden="true" />
          {t('worklist.resetFilters')}
        </Button>
      )}
      <span className="filters-count" role="status">
        {total === undefined ? null : t('worklist.count', { count: total })}
      </span>
    </div>
  );
}

interface SearchBoxProps {
  value: string;
  onChange: (value: string) => void;
  inputRef: RefObject<HTMLInputElement | null>;
}

/** The draft lives here until typing rests; the address holds what is searched for. */
function SearchBox({ value, onChange, inputRef }: SearchBoxProps) {
  const { t } = useWords();
  const [draft, setDraft] = useState(value);
  const [searched, setSearched] = useState(value);
  if (value !== searched) {
    setSearched(value);
    if (value !== draft.trim()) setDraft(value);
  }
  useEffect(() => {
    if (draft.trim() === value) return undefined;
    const rest = setTimeout(() => onChange(draft.trim()), TYPING_MS);
    return () => clearTimeout(rest);
  }, [draft, value, onChange]);
  return (
    <SearchField className="search" aria-label={t('worklist.search')} value={draft} onChange={setDraft}>
      <Search aria-hidden="true" />
      <Input ref={inputRef} data-testid="search" placeholder={t('worklist.search')} maxLength={100} />
      <kbd aria-hidden="true">/</kbd>
      <Button className="button button-quiet button-icon" aria-label={t('worklist.clearSearch')}>
        <X aria-hidden="true" />
      </Button>
    </SearchField>
  );
}
