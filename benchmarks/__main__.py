"""Every benchmark, one after the other: `make bench`. Half an hour on two cores."""

from benchmarks import batches, classify, client, combinations, imports, pages, singles, statistics

for benchmark in (batches, classify, client, imports, pages, combinations, statistics, singles):
    print(f"\n{(benchmark.__doc__ or '').strip().splitlines()[0]}")
    benchmark.main()
