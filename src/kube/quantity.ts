/** Compares two quantities such as `1Gi`, `0.5`, `100m`, `1e3`: negative, zero, positive. Throws `QuantityError`. */
export declare function compareQuantities(a: string | number, b: string | number): number;
/** Returns the canonical text that the API stores: `1024Mi` → `1Gi`, `0.1` → `100m`. Throws `QuantityError`. */
export declare function canonicalQuantity(value: string | number): string;
/** Returns the value as a float, rounded up to whole units when `whole`. Throws `QuantityError`. */
export declare function quantityValue(value: string | number): number;
/** Adds quantities; the result has the first one's format. */
export declare function addQuantities(...values: (string | number)[]): string;
