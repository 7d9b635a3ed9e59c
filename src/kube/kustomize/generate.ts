import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { isUtf8 } from 'node:buffer';
import type { KubeObject } from '../object.ts';
import { KustomizeError } from './kustomize-error.ts';
import type { Generator, GeneratorOptions } from './kustomization.ts';

/** An object that a generator made, and whether its name gets a suffix that follows from its content. */
export interface Generated {
  readonly object: KubeObject & {
    type?: string;
    data?: Record<string, string>;
    binaryData?: Record<string, string>;
    immutable?: boolean;
  };
  readonly hashed: boolean;
}

/** Makes the ConfigMap or Secret that a generator describes; file names are relative to `directory`. */
export async function generate(
  kind: 'ConfigMap' | 'Secret',
  generator: Generator,
  defaults: GeneratorOptions | undefined,
  directory: string,
): Promise<Generated> {
  const values = await readValues(generator, directory);
  const options = { ...defaults, ...generator.options };
  const labels = { ...defaults?.labels, ...generator.options?.labels };
  const annotations = { ...defaults?.annotations, ...generator.options?.annotations };
  const data: Record<string, string> = {};
  const binaryData: Record<string, string> = {};
  for (const [key, value] of values) {
    if (kind === 'Secret') data[key] = value.toString('base64');
    else if (isUtf8(value)) data[key] = value.toString('utf8');
    else binaryData[key] = value.toString('base64');
  }
  return {
    hashed: options.disableNameSuffixHash !== true,
    object: {
      apiVersion: 'v1',
      kind,
      metadata: {
        name: generator.name,
        ...(generator.namespace === undefined ? {} : { namespace: generator.namespace }),
        ...(Object.keys(labels).length === 0 ? {} : { labels }),
        ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      },
      ...(kind === 'Secret' ? { type: generator.type ?? 'Opaque' } : {}),
      ...(Object.keys(data).length === 0 ? {} : { data }),
      ...(Object.keys(binaryData).length === 0 ? {} : { binaryData }),
      ...(options.immutable === true ? { immutable: true } : {}),
    },
  };
}

/** Changes a generated object by one of a later layer: its name, and what the later one does not say about metadata, stay. */
export function onTopOf(
  old: Generated['object'],
  made: Generated['object'],
  keepsData: boolean,
): Generated['object'] {
  const labels = { ...old.metadata.labels, ...made.metadata.labels };
  const annotations = { ...old.metadata.annotations, ...made.metadata.annotations };
  const both = (key: 'data' | 'binaryData'): object => {
    const values = { ...(keepsData ? old[key] : {}), ...made[key] };
    return Object.keys(values).length === 0 ? {} : { [key]: values };
  };
  const { data: _data, binaryData: _binaryData, ...rest } = made;
  return {
    ...rest,
    metadata: {
      ...old.metadata,
      ...(Object.keys(labels).length === 0 ? {} : { labels }),
      ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
    },
    ...both('data'),
    ...both('binaryData'),
  };
}

async function readValues(generator: Generator, directory: string): Promise<Map<string, Buffer>> {
  const values = new Map<string, Buffer>();
  const add = (key: string, value: Buffer): void => {
    if (values.has(key))
      throw new KustomizeError(
        'BAD_KUSTOMIZATION',
        `Cannot generate ${JSON.stringify(generator.name)}: key ${JSON.stringify(key)} is given twice`,
      );
    values.set(key, value);
  };
  for (const file of [...(generator.envs ?? []), ...(generator.env === undefined ? [] : [generator.env])]) {
    for (const line of (await read(join(directory, file))).toString('utf8').split('\n')) {
      const text = line.trim();
      if (text === '' || text.startsWith('#')) continue;
      const [key, value] = split(text, generator.name);
      add(key, Buffer.from(value));
    }
  }
  for (const file of generator.files ?? []) {
    const at = file.indexOf('=');
    const path = at < 0 ? file : file.slice(at + 1);
    add(at < 0 ? basename(file) : file.slice(0, at), await read(join(directory, path)));
  }
  for (const literal of generator.literals ?? []) {
    const [key, value] = split(literal, generator.name);
    add(key, Buffer.from(value.replace(/^(['"])(.*)\1$/s, '$2')));
  }
  return values;
}

function split(text: string, name: string): [string, string] {
  const at = text.indexOf('=');
  if (at <= 0)
    throw new KustomizeError(
      'BAD_KUSTOMIZATION',
      `Cannot generate ${JSON.stringify(name)}: a value is not written as KEY=VALUE`,
    );
  return [text.slice(0, at), text.slice(at + 1)];
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new KustomizeError(
      'NO_SUCH_FILE',
      `Cannot read ${JSON.stringify(path)}: ${(error as NodeJS.ErrnoException).code ?? 'failed'}`,
      { cause: error },
    );
  }
}
