/** The command was called in a way that cannot work: its message is all that a person needs to read. */
export class UsageError extends Error {}
