/** Prints `2026-01-02T03:04:05Z` (metav1.Time); fractions are cut. */
export declare function formatTime(ms: number): string;
/** Prints `2026-01-02T03:04:05.000006Z` (metav1.MicroTime). */
export declare function formatMicroTime(ms: number): string;
/** Reads RFC 3339 into milliseconds; `undefined` when it is not a time. */
export declare function parseTime(text: string): number | undefined;
/** Prints an age as kubectl does: `5s`, `3m12s`, `4h5m`, `2d3h`, `80d`, `2y3d`. */
export declare function humanDuration(ms: number): string;
