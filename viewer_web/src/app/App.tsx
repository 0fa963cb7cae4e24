import { QueryCache, QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { StrictMode, useState } from 'react';

import { ApiProblem } from '../api/http';
import { sessionQuery } from '../api/queries';
import { makeRouter } from './router';

function makeClient(): QueryClient {
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      // Whatever finds the session gone sends the reader to the sign-in page.
      onError: (error) => {
        if (error instanceof ApiProblem && error.status === 401) {
          client.setQueryData(sessionQuery.queryKey, null);
        }
      },
    }),
    defaultOptions: {
      queries: {
        retry: (failures, error) => !(error instanceof ApiProblem) && failures < 2,
        networkMode: 'always',
      },
      mutations: { networkMode: 'always' },
    },
  });
  return client;
}

export function App() {
  const [client] = useState(makeClient);
  const [router] = useState(() => makeRouter(client));
  return (
    <StrictMode>
      <QueryClientProvider client={client}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </StrictMode>
  );
}
