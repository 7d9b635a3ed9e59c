import { parse } from 'yaml';
import { KustomizeError } from './kustomize-error.ts';

/** File names under which a directory may hold its kustomization, in the order in which they are looked for. */
export const KUSTOMIZATION_FILES = ['kustomization.yaml', 'kustomization.yml', 'Kustomization'] as const;

/** Which objects a patch or a replacement is for; absent parts match everything, patterns are anchored. */
export interface Target {
  readonly group?: string;
  readonly version?: string;
  readonly kind?: string;
  readonly name?: string;
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly annotationSelector?: string;
}

export interface Generator {
  readonly name: string;
  readonly namespace?: string;
  readonly type?: string;
  readonly behavior?: string;
  readonly files?: readonly string[];
  readonly literals?: readonly string[];
  readonly envs?: readonly string[];
  readonly env?: string;
  readonly options?: GeneratorOptions;
}

export interface GeneratorOptions {
  readonly disableNameSuffixHash?: boolean;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly immutable?: boolean;
}

/** A kustomization file, as far as this program builds it. */
export interface Kustomization {
  readonly resources: readonly string[];
  readonly components: readonly string[];
  readonly namespace?: string;
  readonly namePrefix?: string;
  readonly nameSuffix?: string;
  readonly commonLabels?: Readonly<Record<string, string>>;
  readonly commonAnnotations?: Readonly<Record<string, string>>;
  readonly labels: readonly {
    readonly pairs?: Readonly<Record<string, string>>;
    readonly includeSelectors?: boolean;
    readonly includeTemplates?: boolean;
  }[];
  readonly images: readonly {
    readonly name: string;
    readonly newName?: string;
    readonly newTag?: string;
    readonly digest?: string;
  }[];
  readonly replicas: readonly { readonly name: string; readonly count: number }[];
  readonly patches: readonly { readonly path?: string; readonly patch?: string; readonly target?: Target }[];
  readonly secretGenerator: readonly Generator[];
  readonly configMapGenerator: readonly Generator[];
  readonly generatorOptions?: GeneratorOptions;
  readonly replacements: readonly (Replacement & { readonly path?: string })[];
  /** `fifo` leaves objects in the order in which they were read. */
  readonly sortOptions?: { readonly order?: string };
}

/** Which part of a field is meant, and whether a field is made that is not there. */
export interface FieldOptions {
  readonly delimiter?: string;
  readonly index?: number;
  readonly create?: boolean;
}

/** A value that is copied from one object to others. */
export interface Replacement {
  readonly source?: Target & { readonly fieldPath?: string; readonly options?: FieldOptions };
  readonly sourceValue?: string;
  readonly targets?: readonly {
    readonly select?: Target;
    readonly reject?: readonly Target[];
    readonly fieldPaths?: readonly string[];
    readonly options?: FieldOptions;
  }[];
}

const LISTS = [
  'resources',
  'components',
  'labels',
  'images',
  'replicas',
  'patches',
  'secretGenerator',
  'configMapGenerator',
  'replacements',
] as const;
const KNOWN = new Set<string>([
  ...LISTS,
  'apiVersion',
  'kind',
  'metadata',
  'namespace',
  'namePrefix',
  'nameSuffix',
  'commonLabels',
  'commonAnnotations',
  'generatorOptions',
  'sortOptions',
  'bases',
  'patchesStrategicMerge',
  'patchesJson6902',
]);

/**
 * Reads a kustomization file; the older field names (`bases`, `patchesStrategicMerge`, `patchesJson6902`) become the newer.
 *
 * @throws KustomizeError `BAD_KUSTOMIZATION`, or `UNSUPPORTED` naming the field that this program does not build
 */
export function parseKustomization(text: string, file: string): Kustomization {
  let value: unknown;
  try {
    value = parse(text, { maxAliasCount: 100 });
  } catch (error) {
    throw new KustomizeError(
      'BAD_KUSTOMIZATION',
      `Cannot read ${JSON.stringify(file)}: ${(error as Error).message}`,
      { cause: error },
    );
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new KustomizeError('BAD_KUSTOMIZATION', `Cannot read ${JSON.stringify(file)}: it holds no mapping`);
  }
  const fields = value as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    if (!KNOWN.has(name)) {
      throw new KustomizeError(
        'UNSUPPORTED',
        `Cannot build ${JSON.stringify(file)}: field ${JSON.stringify(name)} is not supported; build it with kubectl kustomize and pass the output with -f -`,
      );
    }
  }
  const list = (name: string): unknown[] => {
    const found = Object.hasOwn(fields, name) ? fields[name] : undefined;
    if (found === undefined || found === null) return [];
    if (!Array.isArray(found))
      throw new KustomizeError(
        'BAD_KUSTOMIZATION',
        `Cannot read ${JSON.stringify(file)}: ${name} is not a list`,
      );
    return found;
  };
  const strategic = list('patchesStrategicMerge').map((each) =>
    String(each).includes('\n') ? { patch: String(each) } : { path: String(each) },
  );
  const lists = Object.fromEntries(LISTS.map((name) => [name, list(name)]));
  return {
    ...(fields as object),
    ...lists,
    resources: [...list('resources'), ...list('bases')].map(String),
    patches: [...list('patches'), ...strategic, ...list('patchesJson6902')],
  } as unknown as Kustomization;
}
