import type { TraceStep } from '../base/trace.ts';
import type { ImageExplanation } from '../doctor/explain-image.ts';
import type { ObjectExplanation } from '../doctor/explain-object.ts';
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
      for (const step of explanation.trace) lines.push(`  ${statement(step, terminal)}`);
    }
    for (const image of explanation.images) lines.push(...formatImage(image, terminal, verbose));
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
  else
    lines.push(
      `${label('means')}${terminal.style('red', `nothing: ${reference.error}`)}  ${rule('1.9', terminal)}`,
    );
  lines.push(
    `${label('policy')}${image.policy.value}: ${image.policy.trace.map((step) => statement(step, terminal)).join('; ')}`,
  );
  for (const [index, decision] of image.decisions.entries()) {
    lines.push(
      `${label(index === 0 ? 'decision' : '')}${decision.when} → ${terminal.style('bold', decision.outcome)}`,
    );
    for (const step of decision.trace) lines.push(`${label('')}  ${statement(step, terminal)}`);
  }
  if (reference.valid) lines.push(...formatCredentials(image, terminal, verbose, label));
  for (const problem of image.problems) lines.push(`${label('problem')}${terminal.style('red', problem)}`);
  for (const warning of image.warnings)
    lines.push(`${label('warning')}${terminal.style('yellow', warning.says)} [${warning.id}]`);
  return lines;
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
