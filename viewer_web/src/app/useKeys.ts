import { useEffect, useRef } from 'react';

export type KeyActions = Partial<Record<string, (event: KeyboardEvent) => void>>;

const typing = (target: EventTarget | null) =>
  target instanceof HTMLElement &&
  (target.isContentEditable || target.closest('input:not([type=range]), textarea, select') !== null);

const inOverlay = (target: EventTarget | null) =>
  target instanceof HTMLElement && target.closest('[role=dialog], [role=listbox], [role=menu]') !== null;

/** Keys by which the control in focus is itself worked. */
const OWN_KEYS = new Set(['Enter', ' ', 'ArrowUp', 'ArrowDown', 'ArrowLeft', 'ArrowRight', 'Home', 'End']);

const onControl = (event: KeyboardEvent) =>
  OWN_KEYS.has(event.key) &&
  event.target instanceof HTMLElement &&
  event.target.closest('button, a, input, [role=slider], [role=radio]') !== null;

/** Single keys, named as in KeyboardEvent.key, while nobody types and no dialog stands open. */
export function useKeys(actions: KeyActions): void {
  const current = useRef(actions);
  useEffect(() => {
    current.current = actions;
  });
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      if (typing(event.target) || inOverlay(event.target) || onControl(event)) return;
      const action = current.current[event.key];
      if (action === undefined) return;
      event.preventDefault();
      action(event);
    };
    document.addEventListener('keydown', press);
    return () => document.removeEventListener('keydown', press);
  }, []);
}
