from mindrec.cli.main import main

main()
