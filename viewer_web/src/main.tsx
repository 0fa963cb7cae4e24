import '@fontsource/be-vietnam-pro/latin-400.css';
import '@fontsource/be-vietnam-pro/latin-600.css';
import '@fontsource/be-vietnam-pro/latin-ext-400.css';
import '@fontsource/be-vietnam-pro/latin-ext-600.css';
import '@fontsource/be-vietnam-pro/vietnamese-400.css';
import '@fontsource/be-vietnam-pro/vietnamese-600.css';
import './styles/tokens.css';
import './styles/base.css';

import { createRoot } from 'react-dom/client';

import { App } from './app/App';
import { startLanguage } from './i18n';

const root = document.getElementById('root');
if (root === null) throw new Error('index.html has no #root');
await startLanguage();
createRoot(root).render(<App />);
