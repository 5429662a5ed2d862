def test_p():
    from dyncore.objectives import ExecutionRateConfig
    import dyncore.objectives._parts as m
    print(ExecutionRateConfig.__init__.__globals__['__name__'], m.__loader__)
    from dyncore.cost import execution_rate_loss
    print(hasattr(execution_rate_loss,'__wrapped__'))
    assert 0
