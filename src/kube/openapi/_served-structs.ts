import { customRoots } from './_custom-definitions.ts';
import type { ResourceInfo } from '../resources.ts';
import { closureOf, findKindStruct, findStruct, type StructSchema } from '../schema/schema.ts';

/** Lists every struct that requests and answers of these resources can hold. */
export function servedStructs(resources: readonly ResourceInfo[]): StructSchema[] {
  const roots: (StructSchema | undefined)[] = [
    findStruct('meta.v1.Status'),
    findStruct('meta.v1.DeleteOptions'),
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
