from meterboard.cli import main

main()
