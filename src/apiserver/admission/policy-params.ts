import type { KubeObject } from '../../kube/object.ts';
import { labelSelectorOf } from '../../kube/selector/label-selector.ts';
import type { AdmissionRequest } from '../admission-chain.ts';
import { asServed, keyOf, storageName } from '../api-call.ts';
import type { PolicyBinding, PolicySpec } from './admission-policy.ts';
import type { MatchContext } from './match-request.ts';

/** A policy or binding whose parameters cannot be had; the message says why. */
export class ParamsError extends Error {
  /** Whether the policy itself is at fault, whatever the binding says. */
  readonly ofPolicy: boolean;

  constructor(message: string, ofPolicy = false) {
    super(message);
    this.ofPolicy = ofPolicy;
  }
}

/**
 * Returns the objects with which a policy is evaluated, once each; one `null` when it takes none.
 *
 * @throws ParamsError
 */
export function paramsOf(
  { store, served }: MatchContext,
  { paramKind }: PolicySpec,
  { spec: { paramRef } }: PolicyBinding,
  request: AdmissionRequest,
): readonly (KubeObject | null)[] {
  if (paramKind === undefined) return [null];
  const resource = served.all.find(
    ({ apiVersion, kind, verbs }) =>
      apiVersion === paramKind.apiVersion && kind === paramKind.kind && verbs.includes('list'),
  );
  if (resource === undefined) {
    throw new ParamsError(
      `failed to find resource referenced by paramKind: '${paramKind.apiVersion}, Kind=${paramKind.kind}'`,
      true,
    );
  }
  if (paramRef === undefined) return [null];
  const given = paramRef.namespace ?? '';
  let namespace = '';
  if (resource.namespaced) {
    namespace = given === '' ? request.namespace : given;
    if (namespace === '' || (given === '' && request.resource.resource === 'namespaces')) {
      throw new ParamsError(
        'cannot use namespaced paramRef in policy binding that matches cluster-scoped resources',
      );
    }
  } else if (given !== '') {
    throw new ParamsError('paramRef.namespace must not be provided for a cluster-scoped `paramKind`');
  }
  let found: readonly KubeObject[];
  if (paramRef.selector === undefined) {
    const stored = store.get(keyOf(resource, namespace, paramRef.name ?? ''));
    found = stored === undefined ? [] : [stored.object];
  } else {
    const selector = labelSelectorOf(paramRef.selector);
    const list = store.list(storageName(resource), namespace === '' ? {} : { namespace });
    found = list.items
      .map(({ object }) => object)
      .filter(({ metadata }) => selector.matches(metadata.labels));
  }
  if (found.length === 0 && paramRef.parameterNotFoundAction !== 'Allow') {
    throw new ParamsError('no params found for policy binding with `Deny` parameterNotFoundAction');
  }
  return found.map((object) => asServed(resource, object));
}
