import { useNavigate, type NavigateOptions } from '@tanstack/react-router';
import { useEffect, useRef } from 'react';

/**
 * Goes elsewhere, once. The router's own <Navigate> goes again whenever it is drawn with new
 * values, which never ends where those values come from the address itself.
 */
export function Redirect(target: NavigateOptions) {
  const navigate = useNavigate();
  const first = useRef(target);
  useEffect(() => {
    void navigate({ ...first.current, replace: true });
  }, [navigate]);
  return null;
}
