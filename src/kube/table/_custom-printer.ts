import type { Cell } from './_cells.ts';
import { nameOf, since } from './_cells.ts';
import { NAME, type Printer } from './_columns.ts';
import type { CustomKind, PrinterColumn } from '../custom/custom-kind.ts';
import { findByPath, parseJsonPath } from '../custom/json-path.ts';

/** Returns how a custom kind is printed: its name, then the columns that its definition declares. */
export function customPrinter(custom: CustomKind): Printer {
  const cells = custom.columns.map((column) => ({ column, path: parseJsonPath(column.jsonPath) ?? [] }));
  return {
    columns: [
      NAME,
      ...custom.columns.map((column) => ({
        name: column.name,
        type: column.type,
        format: column.format ?? '',
        wide: (column.priority ?? 0) > 0,
        priority: column.priority ?? 0,
        description:
          column.description ?? `Custom resource definition column (in JSONPath format): ${column.jsonPath}`,
      })),
    ],
    row: (object, now) => [
      nameOf(object),
      ...cells.map(({ column, path }) => cellOf(findByPath(object, path)[0], column, now)),
    ],
  };
}

function cellOf(value: unknown, column: PrinterColumn, now: number): Cell {
  if (value === undefined || value === null) return null;
  switch (column.type) {
    case 'integer':
      return typeof value === 'number' ? Math.trunc(value) : null;
    case 'number':
      return typeof value === 'number' ? value : null;
    case 'boolean':
      return typeof value === 'boolean' ? value : null;
    case 'date':
      return since(value, now);
    default:
      return typeof value === 'string' ? value : JSON.stringify(value);
  }
}
