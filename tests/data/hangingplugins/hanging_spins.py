while True:
    try:
        while True:
            pass
    except Exception:  # holds whatever is an Exception
        pass
