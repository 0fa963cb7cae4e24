import { useQueryClient } from '@tanstack/react-query';
import { useNavigate } from '@tanstack/react-router';

import { neighbour } from '../worklist/place';

interface Neighbours {
  next: (() => void) | null;
  previous: (() => void) | null;
}

/** The studies before and after this one in the list that the reader came from. */
export function useNeighbours(uid: string): Neighbours {
  const client = useQueryClient();
  const navigate = useNavigate();
  const way = (step: 1 | -1) => {
    const item = neighbour(client, uid, step);
    if (item === null) return null;
    return () => void navigate({ to: '/study/$uid', params: { uid: item.studyInstanceUID } });
  };
  return { next: way(1), previous: way(-1) };
}
