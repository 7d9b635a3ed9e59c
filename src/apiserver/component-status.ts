import { messageOf } from '../base/coded-error.ts';
import type { KubeObject } from '../kube/object.ts';
import { methodNotAllowed, plainError } from '../kube/status.ts';
import type { Answer, ApiCall, ApiContext } from './api-call.ts';
import { selectionOf, type ObjectList } from './read-objects.ts';
import { listOptions } from './request-options.ts';

/** A part of the control plane beside the API server. */
export interface Component {
  /** As a cluster names it: `scheduler`, `controller-manager`. */
  readonly name: string;
  /** Throws with the reason when it does not work now. */
  check(): void;
}

/** Answers ComponentStatus, which is never stored: each part is asked when somebody reads it. */
export function answerComponents(
  context: ApiContext & { readonly components: readonly Component[] },
  call: ApiCall,
): { type: 'list'; list: ObjectList } | { type: 'object'; answer: Answer } | undefined {
  const { request, resource } = call;
  if (resource.kind !== 'ComponentStatus') return undefined;
  const parts = [...context.components, storage(context)];
  if (request.verb === 'list') {
    const options = listOptions(request.query, false);
    const selection = selectionOf(resource, options.labelSelector, options.fieldSelector);
    const items = parts.map(statusOf).filter((status) => selection.matches(status));
    return { type: 'list', list: { metadata: {}, items } };
  }
  if (request.verb !== 'get') throw methodNotAllowed();
  const asked = parts.find(({ name }) => name === request.name);
  if (asked === undefined) throw plainError(`Component not found: ${request.name}`);
  return { type: 'object', answer: { code: 200, value: statusOf(asked) } };
}

/** Our storage answers by the name that probes know. */
function storage({ store }: ApiContext): Component {
  return {
    name: 'etcd-0',
    check: () => {
      store.list('namespaces', { limit: 1 });
    },
  };
}

function statusOf(component: Component): KubeObject {
  const conditions = [{ type: 'Healthy', ...verdictOf(component) }];
  const { name } = component;
  return { kind: 'ComponentStatus', apiVersion: 'v1', metadata: { name }, conditions } as KubeObject;
}

function verdictOf(component: Component): object {
  try {
    component.check();
    return { status: 'True', message: 'ok' };
  } catch (error) {
    return { status: 'False', message: messageOf(error) };
  }
}
