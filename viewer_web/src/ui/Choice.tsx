import { ChevronDown } from 'lucide-react';
import { Button, Label, ListBox, ListBoxItem, Popover, Select, SelectValue, type Key } from 'react-aria-components';

export interface Option {
  id: string;
  label: string;
}

interface Props {
  label: string;
  options: readonly Option[];
  value: string;
  onChange: (id: string) => void;
  /** The label stands inside the button, before the value. */
  inline?: boolean;
}

/** One choice out of a short list. */
export function Choice({ label, options, value, onChange, inline = false }: Props) {
  return (
    <Select
      className={inline ? 'choice choice-inline' : 'choice'}
      value={value}
      onChange={(key: Key | null) => {
        if (key !== null) onChange(String(key));
      }}
    >
      <Label className="choice-label">{label}</Label>
      <Button className="button choice-button">
        <SelectValue className="choice-value" />
        <ChevronDown aria-hidden="true" />
      </Button>
      <Popover className="popover">
        <ListBox className="listbox" items={options}>
          {(option) => (
            <ListBoxItem className="listbox-item" id={option.id} textValue={option.label}>
              {option.label}
            </ListBoxItem>
          )}
        </ListBox>
      </Popover>
    </Select>
  );
}
