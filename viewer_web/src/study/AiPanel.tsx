import { FlaskConical, Info } from 'lucide-react';
import { useState } from 'react';
import { Button, Tooltip, TooltipTrigger } from 'react-aria-components';

import type { Finding, Model, Triage } from '../api/types';
import { useWords } from '../i18n/format';
import { TriageMark } from '../ui/TriageMark';

/** What the AI found, in findings and scores; or why it found nothing to say. */
export function AiPanel({ triage }: { triage: Triage }) {
  const words = useWords();
  const { t } = words;
  const isResearch = triage.model?.registered === false;
  return (
    <section className="panel-part ai" data-testid="ai-panel" data-triage={triage.class ?? triage.status}>
      <header className="ai-head">
        <h2 className={isResearch ? 'ai-research' : ''} data-testid="ai-heading">
          {isResearch && <FlaskConical aria-hidden="true" />}
          {t(isResearch ? 'ai.researchHeading' : 'ai.heading')}
        </h2>
        {triage.model !== null && <ModelInfo model={triage.model} />}
      </header>
      {triage.model !== null && <p className="ai-note">{t(isResearch ? 'ai.research' : 'ai.registered')}</p>}
      <p className="ai-class">
        <TriageMark triage={triage} large />
        {triage.score !== null && <span>{t('triage.score', { score: words.score(triage.score) })}</span>}
      </p>
      {triage.status === 'assessed' && <Findings findings={triage.findings} />}
      {triage.status === 'not_assessed' && (
        <p>{words.reason(triage.reason ?? '')}</p>
      )}
      {triage.status === 'pending' && <p>{t('triage.pendingWhy')}</p>}
      {triage.status === 'hidden' && <p>{t('triage.hiddenWhy')}</p>}
    </section>
  );
}

function ModelInfo({ model }: { model: Model }) {
  const { t } = useWords();
  const said = `${t('ai.model', { name: model.name, version: model.version })}, ${t(model.registered ? 'ai.modelRegistered' : 'ai.modelUnregistered')}`;
  return (
    <TooltipTrigger delay={0} closeDelay={0}>
      <Button className="button button-quiet button-icon" aria-label={said} data-testid="ai-model">
        <Info aria-hidden="true" />
      </Button>
      <Tooltip className="tooltip" placement="left">
        {said}
      </Tooltip>
    </TooltipTrigger>
  );
}

function Findings({ findings }: { findings: Finding[] }) {
  const { t } = useWords();
  const [showsAll, setShowsAll] = useState(false);
  const sorted = findings
    .filter((finding) => finding.code !== 'abnormal')
    .toSorted((a, b) => Number(b.present) - Number(a.present) || b.probability - a.probability);
  const below = sorted.filter((finding) => !finding.present);
  const shown = showsAll ? sorted : sorted.filter((finding) => finding.present);
  return (
    <>
      {shown.length === 0 && <p className="quiet">{t('triage.noFinding')}</p>}
      <ul className="findings">
        {shown.map((finding) => (
          <FindingRow key={finding.code} finding={finding} />
        ))}
      </ul>
      {below.length > 0 && (
        <Button className="text-link" aria-expanded={showsAll} onPress={() => setShowsAll(!showsAll)}>
          {showsAll ? t('ai.hideBelow') : t('ai.showBelow', { count: below.length })}
        </Button>
      )}
    </>
  );
}

function FindingRow({ finding: { code, probability, threshold, present } }: { finding: Finding }) {
  const { t, finding, score } = useWords();
  const limit = t('ai.threshold', { value: score(threshold) });
  return (
    <li className="finding" data-testid="finding" data-present={present} title={limit}>
      <span className="finding-name">{finding(code)}</span>
      <span className="finding-score">{score(probability)}</span>
      <span className="meter" aria-hidden="true">
        <span className="meter-fill" style={{ width: `${probability * 100}%` }} />
        <span className="meter-limit" style={{ left: `${threshold * 100}%` }} />
      </span>
      <small className="finding-limit">{`${t(present ? 'ai.above' : 'ai.below')} ${score(threshold)}`}</small>
    </li>
  );
}
