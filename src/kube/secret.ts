import type { KubeObject } from './object.ts';

export interface Secret extends KubeObject {
  type?: string;
  /** Values are base64 of any bytes. */
  data?: Record<string, string>;
  immutable?: boolean;
}

export interface ServiceAccount extends KubeObject {
  secrets?: { name?: string }[];
  imagePullSecrets?: { name?: string }[];
  automountServiceAccountToken?: boolean;
}
