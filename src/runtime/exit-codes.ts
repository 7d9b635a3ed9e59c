/** Exit code of a container that never ran. */
export const START_FAILED_CODE = 128;

/** Exit code when nobody saw how a container ended. */
export const UNKNOWN_CODE = 255;

/** Exit code after SIGKILL. */
export const KILLED_CODE = 137;
