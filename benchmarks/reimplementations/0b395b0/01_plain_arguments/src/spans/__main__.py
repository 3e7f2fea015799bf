from spans.cli import main

raise SystemExit(main())
