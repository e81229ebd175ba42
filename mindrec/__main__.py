from mindrec.cli import main

main()
