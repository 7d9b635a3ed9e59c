import type { KubeObject } from '../kube/object.ts';
import { admissionOfOther } from './admission-request.ts';
import type { ApiCall, ApiContext } from './api-call.ts';

/** Asks admission whether a session or a request to what runs behind an object may begin, as `CONNECT` with its options. */
export async function admitSession(context: ApiContext, call: ApiCall): Promise<void> {
  const { subresource } = call.request;
  const kind = call.resource.subresources.find(({ name }) => name === subresource)?.kind ?? '';
  // Options are no objects of their own: they have no metadata.
  const options = { kind, apiVersion: 'v1', ...optionsOf(call, subresource) };
  const admission = admissionOfOther(call, 'CONNECT', options as unknown as KubeObject);
  await context.admission.admit(admission, call.signal);
  await context.admission.validate(admission, call.signal);
}

function optionsOf({ request }: ApiCall, subresource: string): object {
  const { query, proxyPath } = request;
  if (subresource === 'proxy') {
    const path = proxyPath ?? query.get('path') ?? '';
    return path === '' ? {} : { path };
  }
  if (subresource === 'portforward') {
    const ports = query.getAll('ports').map(Number);
    return ports.length === 0 ? {} : { ports };
  }
  const isOn = (name: string): boolean => ['1', 'true'].includes(query.get(name) ?? '');
  const container = query.get('container') ?? '';
  const command = query.getAll('command');
  return {
    ...Object.fromEntries(['stdin', 'stdout', 'stderr', 'tty'].filter(isOn).map((name) => [name, true])),
    ...(container === '' ? {} : { container }),
    ...(command.length === 0 ? {} : { command }),
  };
}
