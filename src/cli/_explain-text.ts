import type { TraceStep } from '../base/trace.ts';
import type { CaseDecision, ImageExplanation, ReferenceExplanation } from '../doctor/explain-image.ts';
import type { ObjectExplanation } from '../doctor/explain-object.ts';
import type { Warning } from '../doctor/explain-warnings.ts';
import { renderDiagnosis } from '../oci/reference-diagnosis.ts';
import type { Terminal } from './terminal.ts';

/** Prints explanations for people: a block for each image, each statement with the number of its rule. */
export function formatExplanations(
  explanations: readonly ObjectExplanation[],
  terminal: Terminal,
  verbose: boolean,
): string {
  const lines: string[] = [];
  for (const explanation of explanations) {
    if (lines.length > 0) lines.push('');
    if (explanation.kind !== '') {
      lines.push(terminal.style('bold', `${explanation.kind} ${explanation.namespace}/${explanation.name}`));
    }
    if (explanation.kind !== '' || explanation.imagePullSecrets.length > 0 || verbose)
      for (const step of explanation.trace) lines.push(`  ${statement(step, terminal)}`);
    for (const problem of explanation.problems)
      lines.push(`  ${'problem'.padEnd(15)}${terminal.style('red', problem)}`);
    for (const image of explanation.images) lines.push(...formatImage(image, terminal, verbose));
    lines.push(...formatWarnings(explanation.warnings, terminal, (text) => `  ${text.padEnd(15)}`));
  }
  return `${lines.join('\n')}\n`;
}

function formatImage(image: ImageExplanation, terminal: Terminal, verbose: boolean): string[] {
  const label = (text: string): string => `    ${text.padEnd(13)}`;
  const lines = [
    `  ${terminal.style('cyan', image.field === '' ? 'image' : `${image.field} (${image.name})`)}`,
    `${label('image')}${image.image}`,
  ];
  const { reference } = image;
  if (reference.valid) lines.push(`${label('means')}${reference.normalized}  ${rule('1.10', terminal)}`);
  else lines.push(...formatRefusal(image.image, reference, terminal, label));
  lines.push(
    `${label('policy')}${image.policy.value}: ${image.policy.trace.map((step) => statement(step, terminal)).join('; ')}`,
  );
  lines.push(...formatDecisions(image.decisions, terminal, label));
  if (reference.valid) lines.push(...formatCredentials(image, terminal, verbose, label));
  for (const problem of image.problems) lines.push(`${label('problem')}${terminal.style('red', problem)}`);
  lines.push(...formatWarnings(image.warnings, terminal, label));
  return lines;
}

/** Tells cases that are decided alike in one go. */
function formatDecisions(
  decisions: readonly CaseDecision[],
  terminal: Terminal,
  label: (text: string) => string,
): string[] {
  const lines: string[] = [];
  for (const alike of Map.groupBy(decisions, ({ outcome, trace }) =>
    JSON.stringify([outcome, trace]),
  ).values()) {
    for (const { when, outcome } of alike)
      lines.push(
        `${label(lines.length === 0 ? 'decision' : '')}${when} → ${terminal.style('bold', outcome)}`,
      );
    for (const step of alike[0]?.trace ?? []) lines.push(`${label('')}  ${statement(step, terminal)}`);
  }
  return lines;
}

/** Shows where a name goes wrong: the name once more, with carets under what is wrong in it. */
function formatRefusal(
  image: string,
  { error, diagnosis }: Extract<ReferenceExplanation, { valid: false }>,
  terminal: Terminal,
  label: (text: string) => string,
): string[] {
  const lines = [`${label('means')}${terminal.style('red', `nothing: ${error}`)}  ${rule('1.9', terminal)}`];
  if (diagnosis === undefined) return lines;
  for (const line of renderDiagnosis(image, diagnosis).split('\n')) lines.push(`${label('')}${line}`);
  if (diagnosis.suggestion !== undefined)
    lines.push(`${label('')}perhaps ${terminal.style('bold', diagnosis.suggestion)} is meant`);
  return lines;
}

function formatWarnings(
  warnings: readonly Warning[],
  terminal: Terminal,
  label: (text: string) => string,
): string[] {
  return warnings.map(({ id, severity, about, says, fix }) => {
    const where = about.startsWith('Secret ') ? `${about}: ` : '';
    const text = severity === 'warning' ? terminal.style('yellow', `${where}${says}`) : `${where}${says}`;
    return `${label(severity)}${text}: ${fix}  ${terminal.style('dim', `[${id}]`)}`;
  });
}

function formatCredentials(
  image: ImageExplanation,
  terminal: Terminal,
  verbose: boolean,
  label: (text: string) => string,
): string[] {
  const lines: string[] = [];
  if (image.candidates.length === 0)
    lines.push(`${label('credentials')}none matches: one anonymous pull  ${rule('3.19', terminal)}`);
  for (const [index, candidate] of image.candidates.entries()) {
    lines.push(
      `${label(index === 0 ? 'credentials' : '')}${index + 1}. ${candidate.source}, key "${candidate.key}"  ${rule('6.14', terminal)}`,
    );
  }
  const others = image.credentialTrace.filter((step) => verbose || isTelling(step));
  for (const [index, step] of others.entries())
    lines.push(`${label(index === 0 ? 'why' : '')}${statement(step, terminal)}`);
  return lines;
}

/** Without --verbose, only what kept an entry out: files that are simply not there tell nobody anything. */
function isTelling(step: TraceStep): boolean {
  return ['6.12', '6.15', '6.19', '6.20'].includes(step.rule) && !step.says.endsWith('matches');
}

function statement(step: TraceStep, terminal: Terminal): string {
  return `${step.source === undefined ? '' : `${step.source}: `}${step.says}  ${rule(step.rule, terminal)}`;
}

function rule(number: string, terminal: Terminal): string {
  return terminal.style('dim', `[${number}]`);
}
