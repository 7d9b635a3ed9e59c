import type { Container } from '../kube/pod.ts';

/**
 * Returns the number of a port given as number, as text, or by the name it has in the container.
 *
 * @throws Error when there is no such port
 */
export function portNumber(container: Container, port: number | string): number {
  if (typeof port === 'number') return checked(port, port);
  if (/^\d+$/.test(port)) return checked(Number(port), port);
  const named = container.ports?.find(({ name }) => name === port);
  if (named === undefined) throw new Error(`couldn't find port: ${JSON.stringify(port)}`);
  return named.containerPort;
}

function checked(number: number, written: number | string): number {
  if (number < 1 || number > 65535) throw new Error(`invalid port number: ${written}`);
  return number;
}
