import type { KubeObject } from '../object.ts';
import type { ResourceInfo } from '../resources.ts';

export interface FieldRequirement {
  readonly field: string;
  readonly operator: '=' | '!=';
  readonly value: string;
}

export interface FieldSelector {
  readonly requirements: readonly FieldRequirement[];
  matches(object: KubeObject): boolean;
  /** The value that `field` must equal, if the selector says one: lets `metadata.name=x` become a look-up. */
  exact(field: string): string | undefined;
}

/** Reads `a=b,c!=d` for a resource. Throws `SelectorError` with the API's text (answer 400), also for fields the resource does not select by. */
export declare function parseFieldSelector(text: string, resource: ResourceInfo): FieldSelector;
