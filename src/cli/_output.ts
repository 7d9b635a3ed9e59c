import { createRequire } from 'node:module';
import type { Command } from 'commander';
import type * as Yaml from 'yaml';
import { parseTemplate, printTemplate } from './_json-path-output.ts';
import { UsageError } from './exit.ts';

const load = createRequire(import.meta.url);

const FORMATS = ['table', 'wide', 'json', 'yaml', 'name', 'jsonpath=TEMPLATE'] as const;
const JSON_PATH = 'jsonpath=';

/** A format by its name, or with the template of `jsonpath=`. */
export type OutputFormat = Exclude<(typeof FORMATS)[number], 'jsonpath=TEMPLATE'> | `jsonpath=${string}`;

/** Adds `-o`. */
export function withOutput(command: Command, formats: readonly OutputFormat[] = FORMATS): Command {
  return command.option('-o, --output <format>', `one of ${formats.join(', ')}`, formats[0]);
}

/** @throws UsageError for a format that the command has not */
export function outputFormat(
  text: string | undefined,
  formats: readonly OutputFormat[] = FORMATS,
): OutputFormat {
  const jsonPath = formats.find((each) => each.startsWith(JSON_PATH));
  if (jsonPath !== undefined && text?.startsWith(JSON_PATH) === true) {
    const template = text.slice(JSON_PATH.length);
    if (parseTemplate(template) === undefined)
      throw new UsageError(`template ${JSON.stringify(template)} is none that JSONPath knows`);
    return `${JSON_PATH}${template}`;
  }
  const found = formats.find((each) => each === (text ?? formats[0]) && each !== jsonPath);
  if (found === undefined)
    throw new UsageError(`unknown output format "${text}": there are ${formats.join(', ')}`);
  return found;
}

/** What one command has to say, in every form that it can be asked for. */
export interface Output {
  readonly data: unknown;
  /** One line each, for scripts. */
  readonly names: readonly string[];
  /** The first row is the head. */
  readonly table: readonly (readonly string[])[];
  /** Further columns of `wide`, a row for each of the table's. */
  readonly wide?: readonly (readonly string[])[];
}

/** Tells whether people are to read the output. */
export function isTable(format: OutputFormat): boolean {
  return format === 'table' || format === 'wide';
}

/** Prints it in the format asked for, with a line end but for a template, which says itself where lines end. */
export function formatOutput(output: Output, format: OutputFormat): string {
  if (format === 'json') return `${JSON.stringify(output.data, undefined, 2)}\n`;
  // Written out where it occurs twice, as kubectl does: many readers know no anchors.
  if (format === 'yaml')
    return (load('yaml') as typeof Yaml).stringify(output.data, { aliasDuplicateObjects: false });
  if (format === 'name') return output.names.map((name) => `${name}\n`).join('');
  if (format === 'wide')
    return formatTable(output.table.map((row, index) => [...row, ...(output.wide?.[index] ?? [])]));
  if (format === 'table') return formatTable(output.table);
  const template = parseTemplate(format.slice(JSON_PATH.length)) ?? [];
  return printTemplate(JSON.parse(JSON.stringify(output.data ?? null)), template);
}

/** Lines columns up, two spaces apart. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0)));
  return rows
    .map((row) =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .map((line) => `${line}\n`)
    .join('');
}

/** Prints a count of bytes for people: powers of ten, as docker does. */
export function formatBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000;
  return `${unit === 0 || value >= 100 ? Math.round(value) : value.toPrecision(3)} ${units[unit]}`;
}

/** Prints how long ago something was, roughly. */
export function formatAge(milliseconds: number): string {
  const steps: [number, string][] = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'm'],
  ];
  for (const [size, unit] of steps)
    if (milliseconds >= 2 * size) return `${Math.floor(milliseconds / size)}${unit}`;
  return `${Math.max(0, Math.floor(milliseconds / 1000))}s`;
}
