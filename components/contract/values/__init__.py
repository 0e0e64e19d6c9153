"""Rules for single values: ids, times, paths into nested values, words for missing values, schedules."""
