import type { CloudFetch } from './cloud-request.ts';

/**
 * Makes the HTTP client of a plug-in. Node's own `fetch` knows no proxy, so undici's is loaded where the environment names one;
 * this machine and its link (metadata services) are never asked by a proxy.
 */
export function cloudFetch(environment: Readonly<Record<string, string | undefined>>): CloudFetch {
  const proxy = (name: string): string => environment[name] ?? environment[name.toUpperCase()] ?? '';
  const httpProxy = proxy('http_proxy');
  const httpsProxy = proxy('https_proxy');
  if (httpProxy === '' && httpsProxy === '') return (url, init) => fetch(url, init);
  const proxied = import('undici').then(({ EnvHttpProxyAgent, fetch: fetchBy }) => {
    const dispatcher = new EnvHttpProxyAgent({ httpProxy, httpsProxy, noProxy: proxy('no_proxy') });
    return async (url: string, init: RequestInit): Promise<Response> => {
      const { method, headers, body, signal, redirect } = init;
      const own = { method, headers, body, signal, redirect, dispatcher } as Parameters<typeof fetchBy>[1];
      return (await fetchBy(url, own)) as unknown as Response;
    };
  });
  return async (url, init) =>
    isLocal(new URL(url).hostname) ? fetch(url, init) : (await proxied)(url, init);
}

function isLocal(host: string): boolean {
  return (
    host === 'localhost' ||
    host === '[::1]' ||
    host === 'metadata.google.internal.' ||
    /^(?:127\.|169\.254\.|\[fd00:ec2:)/.test(host)
  );
}
