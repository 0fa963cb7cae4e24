import type { ImageView, Tool } from './imageView';

/** Pixels of drag, or of wheel, for one picture of the stack. */
const STEP_PX = 14;
const WHEEL_STEP = 60;

interface Hand {
  view: () => ImageView | null;
  tool: () => Tool;
  scrollBy: (step: number) => void;
  isStack: () => boolean;
}

/** Mouse, wheel and fingers on the viewport. Returns what takes the listeners off again. */
export function listenToHands(element: HTMLElement, hand: Hand): () => void {
  const pointers = new Map<number, PointerEvent>();
  let scrolled = 0;
  let wheeled = 0;

  const toolOf = (event: PointerEvent): Tool => {
    if ((event.buttons & 4) !== 0) return 'pan';
    if ((event.buttons & 2) !== 0) return 'zoom';
    return hand.tool();
  };
  const at = (event: MouseEvent) => {
    const box = element.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  const drag = (event: PointerEvent, dx: number, dy: number) => {
    const view = hand.view();
    switch (toolOf(event)) {
      case 'window':
        view?.windowBy(dx, dy);
        break;
      case 'pan':
        view?.panBy(dx, dy);
        break;
      case 'zoom':
        view?.zoomBy(Math.exp(-dy / 200));
        break;
      case 'scroll': {
        scrolled += dy;
        const step = Math.trunc(scrolled / STEP_PX);
        scrolled -= step * STEP_PX;
        if (step !== 0) hand.scrollBy(step);
        break;
      }
    }
  };

  const pinch = (before: PointerEvent, after: PointerEvent) => {
    const other = [...pointers.values()].find((one) => one.pointerId !== after.pointerId);
    if (other === undefined) return;
    const gap = (one: PointerEvent) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
    const mid = at(after);
    const still = at(other);
    const view = hand.view();
    view?.zoomBy(gap(after) / Math.max(1, gap(before)), { x: (mid.x + still.x) / 2, y: (mid.y + still.y) / 2 });
    view?.panBy((after.clientX - before.clientX) / 2, (after.clientY - before.clientY) / 2);
  };

  const down = (event: PointerEvent) => {
    element.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
    scrolled = 0;
  };
  const move = (event: PointerEvent) => {
    const before = pointers.get(event.pointerId);
    if (before === undefined) return;
    pointers.set(event.pointerId, event);
    if (pointers.size > 1) pinch(before, event);
    else drag(event, event.clientX - before.clientX, event.clientY - before.clientY);
  };
  const up = (event: PointerEvent) => pointers.delete(event.pointerId);
  const wheel = (event: WheelEvent) => {
    event.preventDefault();
    if (event.ctrlKey || !hand.isStack()) {
      hand.view()?.zoomBy(Math.exp(-event.deltaY / 500), at(event));
      return;
    }
    wheeled += event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? event.deltaY : event.deltaY * 30;
    const step = Math.trunc(wheeled / WHEEL_STEP);
    wheeled -= step * WHEEL_STEP;
    if (step !== 0) hand.scrollBy(step);
  };
  const noMenu = (event: Event) => event.preventDefault();

  const stop = new AbortController();
  const { signal } = stop;
  element.addEventListener('pointerdown', down, { signal });
  element.addEventListener('pointermove', move, { signal });
  element.addEventListener('pointerup', up, { signal });
  element.addEventListener('pointercancel', up, { signal });
  element.addEventListener('wheel', wheel, { signal, passive: false });
  element.addEventListener('contextmenu', noMenu, { signal });
  return () => stop.abort();
}
