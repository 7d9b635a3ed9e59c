import type { KubeObject } from '../object.ts';
import { allVerbs, type ResourceInfo, type SubresourceInfo } from '../resources.ts';
import type { PrinterColumn, ScalePaths } from './custom-kind.ts';
import { structOfSchema } from './schema-struct.ts';
import type { StructuralSchema } from './structural-schema.ts';

export interface DefinitionNames {
  plural: string;
  singular?: string;
  kind: string;
  listKind?: string;
  shortNames?: string[];
  categories?: string[];
}

export interface DefinitionVersion {
  name: string;
  served: boolean;
  storage: boolean;
  deprecated?: boolean;
  deprecationWarning?: string;
  schema?: { openAPIV3Schema?: StructuralSchema };
  subresources?: { status?: object; scale?: ScalePaths };
  additionalPrinterColumns?: PrinterColumn[];
  selectableFields?: { jsonPath: string }[];
}

export interface DefinitionCondition {
  type: string;
  status: 'True' | 'False';
  lastTransitionTime?: string;
  reason?: string;
  message?: string;
}

/** `apiextensions.k8s.io/v1` CustomResourceDefinition. */
export interface CustomResourceDefinition extends KubeObject {
  spec: {
    group: string;
    scope: 'Namespaced' | 'Cluster';
    names: DefinitionNames;
    versions: DefinitionVersion[];
    conversion?: { strategy?: string };
    preserveUnknownFields?: boolean;
  };
  status?: {
    acceptedNames?: DefinitionNames;
    storedVersions?: string[];
    conditions?: DefinitionCondition[];
  };
}

/** The columns of a kind that declares none. */
const AGE: PrinterColumn = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' };

/** Returns the resources that a definition serves, newest version first, as clients prefer them. */
export function resourcesOf(definition: CustomResourceDefinition): ResourceInfo[] {
  const { group, names, scope, versions } = definition.spec;
  const stored = versions.find((version) => version.storage)?.name ?? '';
  return versions
    .filter((version) => version.served)
    .toSorted((a, b) => compareVersions(a.name, b.name))
    .map((version): ResourceInfo => {
      const schema = version.schema?.openAPIV3Schema ?? {};
      const { scale } = version.subresources ?? {};
      const apiVersion = `${group}/${version.name}`;
      return {
        group,
        version: version.name,
        apiVersion,
        resource: names.plural,
        singular: names.singular ?? names.kind.toLowerCase(),
        kind: names.kind,
        namespaced: scope === 'Namespaced',
        shortNames: names.shortNames ?? [],
        categories: names.categories ?? [],
        verbs: CUSTOM_VERBS,
        subresources: subresourcesOf(names.kind, version),
        custom: {
          schema,
          struct: structOfSchema(names.kind, version.name, schema),
          columns: version.additionalPrinterColumns ?? [AGE],
          ...(scale === undefined ? {} : { scale }),
          storedVersion: `${group}/${stored}`,
          selectableFields: (version.selectableFields ?? []).map(({ jsonPath }) =>
            jsonPath.replace(/^\./, ''),
          ),
        },
        ...(version.deprecated === true
          ? { deprecation: version.deprecationWarning ?? `${apiVersion} ${names.kind} is deprecated` }
          : {}),
      };
    });
}

/** The verbs in the order in which discovery lists them for custom resources. */
const CUSTOM_VERBS: readonly string[] = [
  'delete',
  'deletecollection',
  'get',
  'list',
  'patch',
  'create',
  'update',
  'watch',
].filter((verb) => allVerbs.includes(verb));

function subresourcesOf(kind: string, version: DefinitionVersion): SubresourceInfo[] {
  const verbs = ['get', 'patch', 'update'];
  const { status, scale } = version.subresources ?? {};
  return [
    ...(status === undefined ? [] : [{ name: 'status', kind, verbs }]),
    ...(scale === undefined
      ? []
      : [{ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs }]),
  ];
}

/** Orders versions as the API does: v2, v1, v1beta2, v1beta1, v1alpha1, then all others by name. */
export function compareVersions(a: string, b: string): number {
  const left = rankOf(a);
  const right = rankOf(b);
  for (const [index, value] of left.entries()) {
    const difference = (right[index] ?? 0) - value;
    if (difference !== 0) return difference;
  }
  return a < b ? -1 : a > b ? 1 : 0;
}

function rankOf(version: string): number[] {
  const match = /^v([1-9]\d*)(?:(alpha|beta)([1-9]\d*))?$/.exec(version);
  if (match === null) return [0, 0, 0];
  const [, major = '0', stage, minor = '0'] = match;
  return [stage === undefined ? 3 : stage === 'beta' ? 2 : 1, Number(major), Number(minor)];
}
