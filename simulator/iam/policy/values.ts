/** What a request says about itself: values by lower-case condition key. A key that is not there has no value. */
export type ConditionValues = ReadonlyMap<string, readonly string[]>;
