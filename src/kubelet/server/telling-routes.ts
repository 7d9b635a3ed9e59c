import { json, plainText, type EndpointAnswer } from './endpoint-answer.ts';

/** What a node tells of itself as a whole. */
export interface NodeTale {
  /** What `/pulls` answers; undefined when the node does not remember its pulls. */
  readonly pulls?: () => object | undefined;
  /** What `/metrics` answers, in Prometheus' text format. */
  readonly metrics?: { readonly contentType: string; text(): Promise<string> };
}

/** Finds what is told at a path; undefined when it is none of these. */
export function tellingRoute(
  { pulls, metrics }: NodeTale,
  path: string,
): (() => Promise<EndpointAnswer>) | undefined {
  switch (path) {
    case '/healthz':
      return async () => plainText(200, 'ok');
    case '/metrics':
      if (metrics === undefined) return undefined;
      return async () => ({ status: 200, type: metrics.contentType, body: await metrics.text() });
    case '/pulls':
      return async () => json(pulls?.() ?? { pulling: [], ended: [] });
    default:
      return undefined;
  }
}
