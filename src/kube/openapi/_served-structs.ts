import { customRoots } from './_custom-definitions.ts';
import type { ResourceInfo } from '../resources.ts';
import { closureOf, findKindStruct, findStruct, type StructSchema } from '../schema/schema.ts';

/** What is answered whatever the resource is. */
const ANSWERS = [
  'meta.v1.APIGroup',
  'meta.v1.APIGroupList',
  'meta.v1.APIResourceList',
  'meta.v1.APIVersions',
  'meta.v1.DeleteOptions',
  'meta.v1.Status',
  'meta.v1.WatchEvent',
  'version.v1.Info',
];

/** Lists every struct that requests and answers of these resources can hold. */
export function servedStructs(resources: readonly ResourceInfo[]): StructSchema[] {
  const roots: (StructSchema | undefined)[] = [
    ...ANSWERS.map((name) => findStruct(name)),
    ...customRoots(resources),
  ];
  for (const info of resources) {
    roots.push(findKindStruct(info.group, info.version, info.kind));
    roots.push(findKindStruct(info.group, info.version, `${info.kind}List`));
    for (const sub of info.subresources) {
      roots.push(findKindStruct(sub.group ?? info.group, sub.version ?? info.version, sub.kind));
    }
  }
  return closureOf(roots.filter((root) => root !== undefined));
}
