import type { StructuralSchema } from '../custom/structural-schema.ts';
import type { ResourceInfo } from '../resources.ts';
import { findStruct, type StructSchema } from '../schema/schema.ts';
import { definitionName, reference, type Dialect, type Fragment } from './_schema-document.ts';

/** Returns the name of a custom kind in documents: its group backwards, `com.example.v1.Widget`. */
export function customDefinitionName({ group, version }: ResourceInfo, kind: string): string {
  return [...group.split('.').toReversed(), version, kind].join('.');
}

/** Structs that the definitions of custom kinds refer to. */
export function customRoots(served: readonly ResourceInfo[]): StructSchema[] {
  if (!served.some((info) => info.custom !== undefined)) return [];
  return ['meta.v1.ObjectMeta', 'meta.v1.ListMeta'].flatMap((name) => findStruct(name) ?? []);
}

/** Makes the definitions of custom kinds and their lists. */
export function customDefinitions(served: readonly ResourceInfo[], dialect: Dialect): Fragment {
  const made: [string, Fragment][] = [];
  for (const info of served) {
    if (info.custom === undefined) continue;
    const text = { type: 'string' };
    const { group, version, kind } = info;
    const schema = dialect === 'v2' ? simplified(info.custom.schema) : { ...info.custom.schema };
    const properties = {
      ...(schema['properties'] as Fragment | undefined),
      apiVersion: { ...text, description: 'Group and version of the schema of this object.' },
      kind: { ...text, description: 'Kind of this object.' },
      metadata: described('Name, labels and the like.', definitionName('meta.v1.ObjectMeta'), dialect),
    };
    made.push([
      customDefinitionName(info, kind),
      { ...schema, properties, 'x-kubernetes-group-version-kind': [{ group, version, kind }] },
    ]);
    const list = `${kind}List`;
    made.push([
      customDefinitionName(info, list),
      {
        description: `${list} is a list of ${kind}.`,
        type: 'object',
        required: ['items'],
        properties: {
          apiVersion: text,
          items: { type: 'array', items: reference(customDefinitionName(info, kind), dialect) },
          kind: text,
          metadata: described('Position of the list.', definitionName('meta.v1.ListMeta'), dialect),
        },
        'x-kubernetes-group-version-kind': [{ group, version, kind: list }],
      },
    ]);
  }
  return Object.fromEntries(made);
}

function described(description: string, name: string, dialect: Dialect): Fragment {
  const target = reference(name, dialect);
  return { description, ...(dialect === 'v3' ? { allOf: [target] } : target) };
}

/** What Swagger cannot say is left out, so that its readers do not refuse what the server accepts. */
function simplified(schema: StructuralSchema): Fragment {
  const { description, required, properties, additionalProperties, items, type, format } = schema;
  const isFree =
    schema.nullable === true ||
    schema['x-kubernetes-int-or-string'] === true ||
    schema['x-kubernetes-preserve-unknown-fields'] === true;
  const about = description === undefined ? {} : { description };
  if (isFree) return about;
  return {
    ...about,
    ...(type === undefined ? {} : { type }),
    ...(format === undefined ? {} : { format }),
    ...(required === undefined ? {} : { required }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([key, child]) => [key, simplified(child)]),
          ),
        }),
    ...(typeof additionalProperties === 'object'
      ? { additionalProperties: simplified(additionalProperties) }
      : {}),
    ...(items === undefined ? {} : { items: simplified(items) }),
  };
}
